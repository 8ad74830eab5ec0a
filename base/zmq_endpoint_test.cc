#include "base/zmq_endpoint.h"

#include <gtest/gtest.h>

namespace fanfare {
namespace {

TEST(ZmqEndpoint, KnowsWhatOnlyThisMachineReaches) {
  for (const char* local : {"ipc:///run/fanfare/broker.ipc", "tcp://127.0.0.1:7400",
                            "tcp://127.8.9.1:*", "tcp://localhost:7400", "tcp://[::1]:7400"}) {
    EXPECT_TRUE(is_local(local)) << local;
  }
  for (const char* beyond :
       {"tcp://0.0.0.0:7400", "tcp://*:7400", "tcp://10.0.0.1:7400", "tcp://[::]:7400",
        "tcp://eth0:7400", "tcp://127.example.org:7400", "tcp://127.0.0.1.example.org:7400",
        "tcp://localhost.example.org:7400", "tcp://10.0.0.1:7400;127.0.0.1:7400", "inproc://x"}) {
    EXPECT_FALSE(is_local(beyond)) << beyond;
  }
}

}  // namespace
}  // namespace fanfare
