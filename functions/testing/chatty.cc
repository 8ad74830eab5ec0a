// Prints its data in every way there is; "flood N" prints N lines.

#include <fanfare/function.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>

FANFARE_FUNCTION(const fanfare::Event& event, fanfare::Context& context) {
  const std::string data(event.data);
  if (data.starts_with("flood ")) {
    const int lines = std::stoi(data.substr(6));
    for (int i = 0; i < lines; ++i)
      std::printf("line %d of a great many that are all much alike\n", i);
    return "flooded";
  }
  std::printf("printf %s\n", data.c_str());
  std::cout << "cout " << data << '\n';
  std::cerr << "cerr " << data << '\n';
  context.log(fanfare::Level::kWarning, "logged " + data);
  std::fflush(stdout);
  const std::string raw = "write " + data + "\n";
  if (::write(STDOUT_FILENO, raw.data(), raw.size()) < 0) return "nobody listens";
  std::printf("no newline");
  return "said";
}
