"""What a deployment costs: prices, what an image uses of AWS, and the estimate of both."""
