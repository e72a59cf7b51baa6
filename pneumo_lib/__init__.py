"""2ST-UNet, replicated: data pipeline, model, losses and evaluation for pneumothorax segmentation in chest X-rays."""
