"""What the command ``polyport`` consists of: ``options`` (flags from settings), ``serving`` (run
the gateway), ``checking`` (show the settings), ``client`` and ``services`` (use a gateway)."""
