"""What the function app is made of: settings, wiring, queue, telemetry. `handlers` answers by it."""
