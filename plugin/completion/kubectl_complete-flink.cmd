@rem kubectl runs this to complete `kubectl flink ...`. Written by `kubectl flink completion install`.
@set KUBECTL_FLINK_COMPLETE=kubectl
@kubectl-flink -- %*
