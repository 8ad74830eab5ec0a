// Answers HTTP requests, by the path that its payload names; below no other it is the payload.

#include <fanfare/function.h>

#include <chrono>
#include <stdexcept>
#include <string_view>
#include <thread>

FANFARE_FUNCTION(const fanfare::Event& event, fanfare::Context&) {
  const auto is_for = [&](std::string_view path) {
    return event.data.find("\"rawPath\":\"" + std::string(path) + "\"") != event.data.npos;
  };
  if (is_for("/teapot")) {
    return fanfare::Output::json(
        R"({"statusCode":418,"headers":{"X-Pot":"tea"},"cookies":["a=b","c=d; Secure"],"body":"short"})");
  }
  if (is_for("/bytes")) {
    return fanfare::Output::json(
        R"({"statusCode":200,"headers":{"Content-Type":"image/png"},"body":"iVBORw==","isBase64Encoded":true})");
  }
  if (is_for("/nonsense")) return fanfare::Output::json(R"({"statusCode":"many"})");
  if (is_for("/slow")) std::this_thread::sleep_for(std::chrono::seconds{1});
  if (is_for("/fail")) throw std::runtime_error("not told to strangers");
  return fanfare::Output::json(std::string(event.data));
}
