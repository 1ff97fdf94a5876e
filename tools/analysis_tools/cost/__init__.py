"""Parts of tools/analysis_tools/estimate_cost.py."""
