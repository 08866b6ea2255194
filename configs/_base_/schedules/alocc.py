"""The published schedule of ALOcc: 54.6 passes over nuScenes in batches of 16, history after two of twelve "epochs",
lidar depth mixed into the lifting in the first half. The learning rate is constant after its warm-up."""
train_cfg = dict(samples=1536960, global_batch=16, val_every=512320, checkpoint_every=16000)
optim_wrapper = dict(
    optimizer=dict(type="AdamW", lr=2e-4, weight_decay=1e-2),
    clip_grad=dict(max_norm=5.0, norm_type=2.0),
)
hooks = dict(
    warm_up=dict(type="LinearWarmUp", samples=3200, start_factor=1e-3),
    history=dict(type="HistorySchedule", start=256160),
    denoising=dict(type="DenoisingSchedule", end=768480),
    ema=dict(type="RampedEma", decay=0.999, ramp=2000, init_updates=10560),
    log=dict(type="TrainingLog", every=50),
)
