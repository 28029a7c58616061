"""A Kubernetes API server for the tests, with a job controller, a scheduler, nodes and a kubelet behind it.

It validates requests against the published schema of Kubernetes 1.32, answers in the words of the real server, really executes the
commands of containers, and can be told to misbehave. How to start it and what it can be told: README.md in this directory."""
