"""What a user does: the handles and the rules behind them; knows ports, never adapters."""
