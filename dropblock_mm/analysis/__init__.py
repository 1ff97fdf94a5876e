"""What is looked at and measured: sites, cost, figures."""
