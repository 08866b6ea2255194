_base_ = ["../_base_/models/alocc_2d_mini.py", "../_base_/profiles/published.py"]
