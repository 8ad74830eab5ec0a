// A connection to a gateway on which any bytes are sent, also such that are no HTTP.
#pragma once

#include <string>
#include <string_view>

#include "base/time.h"

namespace fanfare::test {

class RawConnection {
 public:
  explicit RawConnection(const std::string& url);  // "http://127.0.0.1:40123"
  ~RawConnection();
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;

  // Its end is a reset: the kernel keeps its port no longer than it.
  void reset_at_end() const;
  // False if the gateway does not take them.
  bool send(std::string_view bytes) const;
  // What comes until the gateway closes the connection, but for no longer.
  std::string rest(Duration at_most = std::chrono::seconds{5}) const;
  // One read of what is there, or comes.
  std::string some(Duration at_most = std::chrono::seconds{5}) const;

 private:
  int fd_;
};

}  // namespace fanfare::test
