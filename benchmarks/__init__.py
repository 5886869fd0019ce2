"""What signing and verifying cost: ours, the raw primitive and the peers, side by side in one run."""
