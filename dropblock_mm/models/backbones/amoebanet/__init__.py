"""AmoebaNet: tables of its cells, the parts they are made of, the network."""

from dropblock_mm.models.backbones.amoebanet.backbone import AmoebaNet
from dropblock_mm.models.backbones.amoebanet.genotypes import (
    GENOTYPES,
    CellGenotype,
    Genotype,
    Step,
    cell,
)

__all__ = ['GENOTYPES', 'AmoebaNet', 'CellGenotype', 'Genotype', 'Step', 'cell']
