// Invokes others as its event says, a command per line: "call NAME DATA", "within MS NAME DATA",
// "large NAME N" (that it echo N bytes; answers how many came back), "chain N" (itself, until that
// is refused or N links are done), "threaded NAME"; "must NAME DATA" fails if that does, all others
// tell errors like results. And "echo TEXT", "event" (tells of its own), "nap MS", "mark FILE" (a
// byte at its end), "later MS FILE" (the same after a nap), "fail". Answers a line per command.

#include <fanfare/function.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <thread>

namespace {

std::string told(const fanfare::InvokeError& error) {
  return std::string(error.by_function() ? "failed " : "refused ") + error.type() + ": " +
         error.what();
}

template <typename Call>
std::string tried(Call call) {
  try {
    return call();
  } catch (const fanfare::InvokeError& error) {
    return told(error);
  }
}

std::string threaded(fanfare::Context& context, const std::string& name) {
  std::string seen;
  std::thread([&] { seen = tried([&] { return context.invoke(name, "event"); }); }).join();
  return seen;
}

// How many links there were, and why no more.
std::string chain(fanfare::Context& context, int links) {
  if (links == 0) return "0 done";
  try {
    std::istringstream below(
        context.invoke(context.function(), "chain " + std::to_string(links - 1)));
    std::string count, why;
    below >> count >> why;
    return std::to_string(std::stoi(count) + 1) + " " + why;
  } catch (const fanfare::InvokeError& error) {
    return "0 " + error.type();
  }
}

std::string rest_of(std::istream& words) {
  std::string rest;
  std::getline(words >> std::ws, rest);
  return rest;
}

std::string done(const fanfare::Event& event, fanfare::Context& context, std::istream& words) {
  std::string command, name;
  words >> command;
  if (command == "event") {
    return std::string(event.type) + " " + std::string(event.source) + " " +
           std::string(event.subject);
  }
  if (command == "fail") throw fanfare::Failure{"Asked", "as the event said"}.retryable(false);
  int number = 0;
  if (command == "within" || command == "nap" || command == "chain" || command == "later") {
    words >> number;
  }
  if (command == "chain") return chain(context, number);
  if (command == "nap" || command == "later") ::usleep(static_cast<useconds_t>(number) * 1000);
  if (command == "nap") return "napped";
  words >> name;
  if (command == "mark" || command == "later") {
    std::ofstream(name, std::ios::app) << '.';
    return "marked";
  }
  if (command == "threaded") return threaded(context, name);
  if (command == "large") {
    words >> number;
    return std::to_string(tried([&] {
                            return context.invoke(
                                name, "echo " + std::string(static_cast<std::size_t>(number), 'x'));
                          }).size());
  }
  const std::string data = rest_of(words);
  if (command == "echo") return name;
  if (command == "must") return context.invoke(name, data);
  if (command == "within") {
    return tried([&] { return context.invoke(name, data, std::chrono::milliseconds(number)); });
  }
  return tried([&] { return context.invoke(name, data); });
}

}  // namespace

FANFARE_FUNCTION(const fanfare::Event& event, fanfare::Context& context) {
  std::istringstream lines{std::string(event.data)};
  std::string answers;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    if (!answers.empty()) answers += '\n';
    answers += done(event, context, words);
  }
  return answers;
}
