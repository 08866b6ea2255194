_base_ = [
    "../_base_/models/bevdetocc.py",
    "../_base_/datasets/occ3d_nuscenes.py",
    "../_base_/schedules/bevdetocc.py",
    "../_base_/profiles/published.py",
    "../_base_/runtime/default.py",
]
train_dataloader = dict(dataset=dict(load_adjacent=True))
val_dataloader = dict(dataset=dict(load_adjacent=True))
test_dataloader = dict(dataset=dict(load_adjacent=True))
