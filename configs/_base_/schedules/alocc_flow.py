"""The published schedule of ALOccFlow: that of ALOcc, half as long again; the match of the flow head is the true one
for two "epochs" and its own after four."""
_base_ = ["alocc.py"]
train_cfg = dict(samples=2305440)
hooks = dict(flow_denoising=dict(type="FlowDenoisingSchedule", start=256160, end=512320))
