// Gives trouble.so its orders.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/chaos/trouble.h"
#include "tests/support/temp_dir.h"

namespace fanfare::chaos {

class Trouble {
 public:
  Trouble();  // throws if there is no memory to share
  ~Trouble();
  Trouble(const Trouble&) = delete;
  Trouble& operator=(const Trouble&) = delete;

  // What a process needs in its environment to obey.
  std::vector<std::pair<std::string, std::string>> variables() const;
  // The same as "NAME=value", as test::RedisServerOptions takes them.
  std::vector<std::string> environment() const;

  TroubleOrders& orders() const { return *orders_; }

 private:
  test::TempDir dir_;
  std::string file_ = dir_.file("orders");
  TroubleOrders* orders_ = nullptr;
};

}  // namespace fanfare::chaos
