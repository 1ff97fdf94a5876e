from dropblock_mm import inject_drop_block
from dropblock_mm.injection import format_sites
from dropblock_mm.testing.toy import toy_classifier


def test_report_has_a_row_for_each_site():
    sites = inject_drop_block(
        toy_classifier(),
        [
            dict(module='backbone.layer3', gamma_scale=0.25),
            dict(
                module='backbone.layer4', block_size=3, keep_prob=0.8, calibrated=True
            ),
        ],
    )
    report = format_sites(sites)
    rows = [line.split() for line in report.splitlines() if 'backbone' in line]
    assert f'DropBlock at {len(sites)} sites' in report
    assert len(rows) == len(sites)
    assert rows[0] == ['backbone.layer3.0', 'shortcut', '7', '0.25']
    assert rows[-1][:4] == ['backbone.layer4.1', 'conv2', '3', '1']
    assert 'keep_prob 0.8, calibrated' in report.splitlines()[-1]


def test_report_marks_what_is_frozen():
    model = toy_classifier(frozen_stages=1).train()
    rows = format_sites(
        inject_drop_block(model, [dict(module='backbone')])
    ).splitlines()
    frozen = [row for row in rows if row.endswith('frozen')]
    assert len(frozen) == 6
    assert all('backbone.layer1' in row for row in frozen)
