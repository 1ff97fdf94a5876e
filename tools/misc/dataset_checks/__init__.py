"""Parts of tools/misc/check_dataset.py."""

from .plan import DatasetReport, check_datasets
from .report import as_dict, print_report

__all__ = ['DatasetReport', 'as_dict', 'check_datasets', 'print_report']
