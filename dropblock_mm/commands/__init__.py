"""The command line of each command: arguments, printing, exit status."""
