"""Training by several workers, through torch.distributed."""
