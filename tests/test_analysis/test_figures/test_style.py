"""Room for what is drawn."""

from matplotlib.figure import Figure

from dropblock_mm.analysis.figures.style import legend_below


def drawn(number):
    figure = Figure(figsize=(7, 3.6), layout='constrained')
    panel = figure.subplots()
    for index in range(number):
        panel.plot([0, 1], [index, 1], label=f'work_dirs/a_run_of_many/seed{index}')
    legend = legend_below(figure, *panel.get_legend_handles_labels(), columns=2)
    figure.draw_without_rendering()
    return figure, panel, legend


def test_a_legend_of_many_runs_leaves_the_panel_its_room():
    _, panel, legend = drawn(40)
    box, below = panel.get_window_extent(), legend.get_window_extent()
    assert box.height > 150, 'pixels, of the 360 of a figure without a legend'
    assert below.y1 < box.y0, 'it lies on what is drawn'
    assert below.y0 >= 0


def test_a_short_legend_changes_no_size():
    figure, _, _ = drawn(2)
    assert figure.get_figheight() == 3.6
