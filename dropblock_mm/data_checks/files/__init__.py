"""Looks into every file of a data set."""

from dropblock_mm.data_checks.files.plan import DatasetReport, check_datasets
from dropblock_mm.data_checks.files.report import as_dict, print_report

__all__ = ['DatasetReport', 'as_dict', 'check_datasets', 'print_report']
