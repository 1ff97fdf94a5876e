"""The figure."""

import math

import pytest


def test_losses_are_as_visible_as_wins(part, op_rows):
    figure = part('figure')
    drawn = figure.draw(op_rows([16.0, 4.0], [1 / 16, 1.0]), 'a machine')
    assert [axes.get_title() for axes in drawn.axes] == ['case 0', 'case 1']
    bars = drawn.axes[0].patches
    widths = [abs(math.log(bar.get_x() + bar.get_width())) for bar in bars]
    assert widths[0] == pytest.approx(widths[1]), 'on a logarithmic scale'
    colors = [bar.get_facecolor() for bar in bars]
    assert colors[0] != colors[1]
    labels = [text.get_text() for text in drawn.axes[0].texts]
    assert labels == ['16', '0.06']


def test_ratios_have_as_many_digits_as_they_deserve(part):
    number = part('figure').number
    assert [number(r) for r in (0.314, 1.234, 5.26, 14.7)] == [
        '0.31',
        '1.23',
        '5.3',
        '15',
    ]
