// Writes down when it runs: its data is "FILE NAME NUMBER MICROSECONDS", and it appends a line
// "NAME NUMBER begin NANOSECONDS" to that file, sleeps, and appends the same with "end". One write
// per line, so that lines of several instances lie in the order in which they were written. The
// time is CLOCK_MONOTONIC, comparable over processes.

#include <fanfare/function.h>
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <sstream>
#include <stdexcept>
#include <thread>

FANFARE_FUNCTION(const fanfare::Event& event) {
  std::istringstream words{std::string{event.data}};
  std::string file, name;
  long number = 0, microseconds = 0;
  if (!(words >> file >> name >> number >> microseconds)) {
    throw std::invalid_argument("not FILE NAME NUMBER MICROSECONDS");
  }
  const int fd = ::open(file.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd < 0) throw std::runtime_error("cannot open " + file);
  const auto write_down = [&](const char* what) {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    const std::string line =
        name + ' ' + std::to_string(number) + ' ' + what + ' ' +
        std::to_string(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count()) + '\n';
    if (::write(fd, line.data(), line.size()) < 0) throw std::runtime_error("cannot write");
  };
  write_down("begin");
  std::this_thread::sleep_for(std::chrono::microseconds{microseconds});
  write_down("end");
  ::close(fd);
  return "written";
}
