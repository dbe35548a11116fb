"""What runs in Lambda: one short module a step, the domain in `matching`, AWS clients in `aws`."""
