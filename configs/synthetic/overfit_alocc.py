_base_ = [
    "../_base_/models/alocc_2d_mini_tiny.py",
    "../_base_/datasets/sequence.py",
    "../_base_/schedules/overfit.py",
    "../_base_/profiles/corrected.py",
    "../_base_/runtime/default.py",
]
train_dataloader = dict(dataset=dict(depth=dict(semantics=True)))
