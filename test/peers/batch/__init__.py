"""AWS Batch, and as much of CloudWatch Logs as it writes to, on the loopback interface: follows the published API model strictly, really
executes the commands of jobs, and can be told to misbehave. How to start it and what it can be told: README.md in this directory."""
