"""The defaults of every class: for new training."""
profile = dict(name="corrected", arguments=dict())
