"""What can go wrong with a broker on this machine, in words that say what to do."""


class BrokerError(RuntimeError):
    """A broker does not do what was asked; the message says why and what to do next."""


class BrokerUnavailableError(BrokerError):
    """This machine cannot run a broker: Java or Maven is missing, or nothing can be fetched."""


class AlreadyRunningError(BrokerError):
    """A broker runs in this folder already."""
