"""Tables of cells: what is in AmoebaNet-B's, and what is no cell."""

import pytest

from dropblock_mm.models.backbones.amoebanet import GENOTYPES, CellGenotype, Step, cell


def unused(genotype):
    """States that no step takes: what a cell of NASNet's kind concatenates."""
    states = {*range(2 + len(genotype.pairs))}
    return states - {step.state for step in genotype.steps}


@pytest.mark.parametrize('name', sorted(GENOTYPES))
def test_no_state_is_lost(name):
    for genotype in (GENOTYPES[name].normal, GENOTYPES[name].reduction):
        assert len(genotype.pairs) == 5
        assert unused(genotype) <= {*genotype.concat}


@pytest.mark.parametrize(
    ('name', 'normal', 'reduction'),
    # Used, and put out all the same, as the authors' code has it.
    [
        ('A', {1}, {2, 4}),
        ('B', {0}, set()),
        ('C', {1, 2}, {0, 2, 4}),
        ('D', {0}, set()),
    ],
)
def test_states_that_are_put_out_although_they_are_used(name, normal, reduction):
    both = GENOTYPES[name]
    assert {*both.normal.concat} - unused(both.normal) == normal
    assert {*both.reduction.concat} - unused(both.reduction) == reduction


def test_the_normal_cell_of_b_is_the_one_that_was_trained():
    normal = GENOTYPES['B'].normal
    assert normal.concat == (0, 3, 4, 6)
    assert normal.pairs[3] == (Step('1x1', 2), Step('none', 2))


@pytest.mark.parametrize(
    ('table', 'concat', 'message'),
    [
        ('sep3(0) + none(2)', (2,), 'state=2 of a step of state 2.*0 to 1'),
        ('sep4(0) + none(1)', (2,), "'sep4' of state 2 is unknown.*sep3"),
        ('sep3(0) + none(1)', (3,), r'concat=\(3,\).*0 to 2'),
        ('sep3(0) + none(1)', (), r'concat=\(\)'),
    ],
)
def test_what_is_no_cell_is_refused(table, concat, message):
    with pytest.raises(ValueError, match=message):
        cell(table, concat)


def test_a_state_is_the_sum_of_two():
    with pytest.raises(TypeError, match='two steps, not of 1'):
        CellGenotype(((Step('none', 0),),), (2,))
