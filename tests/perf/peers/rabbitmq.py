"""RabbitMQ with a durable classic queue."""

import subprocess

from peers import processes
from peers.system import CClient, System


class RabbitMQ(CClient, System):
    key, name, peer, durability = "rabbitmq", "RabbitMQ, durable", "rabbitmq", "fsync"
    settings = ("TCP, librabbitmq; durable classic queue, persistent messages, confirms with 2,000 outstanding (it confirms after "
                "an fsync of many); prefetch 200, up to 50 acknowledged with one frame; round trips by direct reply-to")
    needs = ("rabbitmq-server", "epmd")
    files = ("/usr/include/amqp.h",)
    library = "rabbitmq"
    events, queued, starts = 60_000, 30_000, 6
    port = distribution_port = epmd_port = 0

    def version(self):
        return subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "rabbitmq-server"], capture_output=True,
                              text=True).stdout.split("-")[0]

    def session(self, place, workers, measure):
        self.port, self.distribution_port, self.epmd_port = (processes.free_port() for _ in range(3))
        return super().session(place, workers, measure)

    def environment(self, place):
        # A cookie and a home of its own, and nothing of /etc/rabbitmq.
        place.log("enabled_plugins").write_text("[].\n")
        return {"HOME": str(place.disk), "ERL_EPMD_PORT": str(self.epmd_port), "ERL_EPMD_ADDRESS": "127.0.0.1",
                "RABBITMQ_NODENAME": "compare@localhost", "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
                "RABBITMQ_NODE_PORT": str(self.port), "RABBITMQ_DIST_PORT": str(self.distribution_port),
                "RABBITMQ_MNESIA_BASE": f"{place.disk}/mnesia", "RABBITMQ_LOG_BASE": f"{place.disk}/log",
                "RABBITMQ_CONFIG_FILE": f"{place.disk}/none", "RABBITMQ_CONF_ENV_FILE": f"{place.disk}/none",
                "RABBITMQ_ADVANCED_CONFIG_FILE": f"{place.disk}/none", "RABBITMQ_PID_FILE": f"{place.disk}/pid",
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(place.log("enabled_plugins"))}

    def servers(self, place):
        env = self.environment(place)
        beam = "/usr/lib/rabbitmq/bin/rabbitmq-server"  # Debian's own wrapper would change the user
        return [("epmd", ["epmd", "-address", "127.0.0.1", "-port", self.epmd_port], env), ("rabbitmq-server", [beam], env)]

    def ready(self, place, name):
        return processes.listens(self.epmd_port if name == "epmd" else self.port)

    def client(self, place):
        return [self.program(), self.port]


SYSTEMS = [RabbitMQ()]
