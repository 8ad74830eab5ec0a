// A stream socket with what was read from it and what is yet to be written: nobody waits in a
// write, so that two processes which write to each other cannot block both.
#pragma once

#include <string>
#include <string_view>

namespace fanfare::calibration {

[[noreturn]] void give_up(std::string_view what);  // says so with errno, and ends the program

class Link {
 public:
  explicit Link(int socket);  // makes it non-blocking; -1 = none

  int socket() const { return socket_; }
  bool wants_to_write() const { return !out.empty(); }
  // Appends what there is to `in`, one read; false if the other end was closed.
  bool read();
  // Writes what the socket takes of `out`.
  void write();

  std::string in, out;

 private:
  int socket_;
};

}  // namespace fanfare::calibration
