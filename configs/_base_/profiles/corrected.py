"""The defaults of all classes: no published quirk is switched on."""

profile = dict(name="corrected", arguments=dict())
