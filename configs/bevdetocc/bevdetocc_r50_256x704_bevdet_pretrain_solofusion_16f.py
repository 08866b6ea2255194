_base_ = ["../_base_/models/bevdetocc.py", "../_base_/profiles/published.py"]
