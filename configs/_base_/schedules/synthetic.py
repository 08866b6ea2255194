"""Minutes on a CPU: small batches, history from the start, an average that follows quickly."""
train_cfg = dict(samples=1600, global_batch=4, val_every=0, checkpoint_every=400)
optim_wrapper = dict(
    optimizer=dict(type="AdamW", lr=6e-4, weight_decay=1e-2),
    clip_grad=dict(max_norm=5.0, norm_type=2.0),
)
hooks = dict(
    warm_up=dict(type="LinearWarmUp", samples=80, start_factor=1e-2),
    denoising=dict(type="DenoisingSchedule", end=800),
    ema=dict(type="RampedEma", decay=0.98, ramp=20, init_updates=0),
    log=dict(type="TrainingLog", every=10),
)
