// Does with its store what its event says, a command per line: "get K", "put K V", "brief K V" (for
// a minute), "large K N" (N bytes), "erase K", "add K N", "list PREFIX LIMIT CURSOR", "threaded K",
// "both" (a get and a put), "nap MS", "fail", "crash", "mark FILE" (a byte at its end: what an
// attempt leaves that is not its store). Answers with what it got, a line per command.

#include <fanfare/function.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <thread>

namespace {

std::string listed(fanfare::Store store, std::istream& words) {
  std::string prefix, cursor;
  std::uint32_t limit = 100;
  words >> prefix >> limit >> cursor;
  const fanfare::RowPage page = store.list(prefix == "*" ? "" : prefix, limit, cursor);
  std::string seen;
  for (const fanfare::Row& row : page.rows) seen += row.key + "=" + row.value.substr(0, 20) + " ";
  return seen + "| " + page.cursor;
}

std::string threaded(fanfare::Store store, const std::string& key) {
  std::string seen;
  std::thread([&] {
    try {
      seen = store.get(key).value_or("none");
    } catch (const fanfare::StoreError& error) {
      seen = error.what();
    }
  }).join();
  return seen;
}

std::string done(fanfare::Store store, const std::string& command, std::istream& words) {
  using namespace std::chrono_literals;
  if (command == "list") return listed(store, words);
  if (command == "fail") throw fanfare::Failure{"Asked", "as the event said"}.retryable(false);
  if (command == "crash") ::_exit(7);
  std::string key, value;
  words >> key >> value;
  if (command == "both") {
    (void)store.get("k");
    store.put("k", "a value of some length, as a row may have");
    return "ok";
  }
  if (command == "get") return store.get(key).value_or("none");
  if (command == "threaded") return threaded(store, key);
  if (command == "nap") ::usleep(static_cast<useconds_t>(std::stoul(key)) * 1000);
  if (command == "mark") std::ofstream(key, std::ios::app) << '.';
  if (command == "put") store.put(key, value);
  if (command == "brief") store.put(key, value, 1min);
  if (command == "large") store.put(key, std::string(std::stoul(value), 'x'));
  if (command == "erase") store.erase(key);
  if (command == "add") store.increment(key, std::stoll(value));
  return "ok";
}

}  // namespace

FANFARE_FUNCTION(const fanfare::Event& event, fanfare::Context& context) {
  std::istringstream lines{std::string(event.data)};
  std::string answers;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string command;
    words >> command;
    answers += done(context.store(), command, words) + "\n";
  }
  return answers;
}
