"""What every run shares."""
seed = 0
evaluation = dict(metrics=("miou",), mode="published")
load_from = None
find_unused_parameters = False
