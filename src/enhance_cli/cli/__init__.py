"""The command line; no other folder imports click or rich."""
