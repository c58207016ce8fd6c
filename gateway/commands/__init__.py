"""What the command ``polyport`` consists of: ``options`` (flags from settings), ``serving`` (run
the gateway), ``checking`` (show the settings), ``admin`` (the key of whoever runs it), ``client``,
``services`` and ``keys`` (use a gateway)."""
