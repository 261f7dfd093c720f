"""The command line of this application: `python -m scripts.pipelines`, described in docs/command-line.md.

`stack` finds a deployed stack; `runs` reads what its executions have done; the rest starts, watches and explains them.
"""
