"""The sweep's points, and what becomes of them."""


def test_there_are_more_than_200_points_of_all_sorts(part):
    sweep, settings = part('sweep'), part('settings').Settings()
    points = sweep.points_of(settings)
    assert len(points) == len(set(points)) >= sweep.POINTS_GATE
    assert {case.channels_last for *_, case in points} == {False, True}
    assert len({case.dtype for *_, case in points}) == 3


def test_the_worst_point_is_told_and_judged(part):
    sweep = part('sweep')
    point = dict(block_size=3, at='a', dense=9.0, dropout=2.0, share=0.0)
    row = sweep.worst([point, {**point, 'at': 'b', 'dropout': 0.9, 'share': 3.0}])
    assert (row['points'], row['dense'], row['dropout_at']) == (2, 9.0, 'b')
    verdicts = [gate.verdict for gate in sweep.gates([row], 300)]
    assert verdicts == ['PASS', 'PASS', 'FAIL', 'FAIL']


def test_the_dense_algorithm_takes_every_point(part):
    """It needs a centre: where a block is cut to the map, that side is odd too."""
    sweep, settings = part('sweep'), part('settings').Settings()
    for block_size, _, case in sweep.points_of(settings):
        assert min(block_size, *case.shape[2:]) % 2 == 1
