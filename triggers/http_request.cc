#include "triggers/http_request.h"

#include <utility>  // Asio of Boost 1.74 wants it first

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>

#include "triggers/problem.h"

namespace fanfare::triggers::http_detail {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr std::size_t kReserveBytesMax = 16u << 10;
// The end of a chunked body, "0\r\n\r\n". Beast asserts that it never sees less of it twice; and
// whatever comes before it has as much behind it.
constexpr std::size_t kChunkBytesMin = 5;

// Where the bytes of a body go.
struct Body {
  explicit Body(BodyBudget& of) : budget(of) {}
  ~Body() { budget.used -= held; }
  Body(const Body&) = delete;
  Body& operator=(const Body&) = delete;

  BodyBudget& budget;
  std::size_t held = 0;  // of the budget
  std::size_t bytes_max = 0, bytes = 0;
  std::function<HttpResponse()> too_long;
  std::string text;
  std::unique_ptr<BodySink> sink;
  std::optional<Refusal> refusal;  // why it is not taken any more

  void refuse_as_too_long() {
    refusal = Refusal{
        Refusal::Why::kTooLarge,
        too_long ? too_long()
                 : problem(413, "the body may have " + std::to_string(bytes_max) + " bytes here")};
  }

  void refuse_for_want_of_memory() {
    HttpResponse response =
        problem(503, "bodies of other requests take all the memory that there is for them");
    response.headers.push_back({"Retry-After", "1"});
    refusal = Refusal{Refusal::Why::kNoMemory, std::move(response)};
  }

  bool has_room_for(std::size_t more) const { return budget.used + more <= budget.max; }

  // What is there counts, not what was announced: else empty promises would take all of it.
  void count(std::size_t now) {
    budget.used += now - held;
    held = now;
  }

  bool take(std::string_view piece) {
    bytes += piece.size();
    if (bytes > bytes_max) {
      refuse_as_too_long();
    } else if (!has_room_for(piece.size())) {
      refuse_for_want_of_memory();
    } else if (sink) {
      if (auto refused = sink->take(piece)) {
        refusal = Refusal{Refusal::Why::kSink, *std::move(refused)};
      }
      count(sink->bytes_in_memory());
    } else {
      text.append(piece);
      count(text.size());
    }
    return !refusal;
  }
};

// Hands a message's body on to a Body, as Beast wants it.
struct BodyPieces {
  using value_type = Body*;
  class reader {
   public:
    template <bool is_request, class Fields>
    reader(http::header<is_request, Fields>&, value_type& body) : body_(body) {}
    void init(const boost::optional<std::uint64_t>& length, beast::error_code& error) {
      error = {};
      if (length && !body_->sink) {
        body_->text.reserve(std::min<std::size_t>(*length, kReserveBytesMax));
      }
    }
    template <class Buffers>
    std::size_t put(const Buffers& buffers, beast::error_code& error) {
      std::size_t size = 0;
      error = {};
      for (auto at = asio::buffer_sequence_begin(buffers); at != asio::buffer_sequence_end(buffers);
           ++at) {
        const asio::const_buffer piece = *at;
        size += piece.size();
        if (!body_->take({static_cast<const char*>(piece.data()), piece.size()})) {
          error = http::make_error_code(http::error::body_limit);
          return size;
        }
      }
      return size;
    }
    void finish(beast::error_code& error) { error = {}; }

   private:
    value_type& body_;  // set once the parser is made
  };
};

std::string_view to_std(beast::string_view text) {
  return {text.data(), text.size()};
}

bool is_absolute(std::string_view target) {
  const std::string beginning = lower_case(target.substr(0, 8));
  return beginning.starts_with("http://") || beginning == "https://";
}

// What could be read in two ways.
template <class Head>
std::string_view fault_of(const Head& head) {
  const auto hosts = head.equal_range(http::field::host);
  const auto count = std::distance(hosts.first, hosts.second);
  if (count > 1 || (count == 0 && head.version() >= 11)) return "one Host is needed";
  const std::string_view length = to_std(head[http::field::content_length]);
  if (head.count(http::field::content_length) > 1 ||
      length.find_first_not_of("0123456789") != length.npos) {
    return "a Content-Length is one number, and there is one";
  }
  const auto encodings = head.count(http::field::transfer_encoding);
  if (encodings > 0 && head.count(http::field::content_length) > 0) {
    return "a Content-Length beside a Transfer-Encoding";
  }
  if (encodings > 1 ||
      (encodings == 1 && !beast::iequals(head[http::field::transfer_encoding], "chunked"))) {
    return "of Transfer-Encodings only chunked is understood";
  }
  if (head.version() < 11 && head.count(http::field::transfer_encoding) > 0) {
    return "HTTP/1.0 knows no Transfer-Encoding";
  }
  return {};
}

// Whether a line of these, each of a field that is whole, is the continuation of the one before:
// what some readers take for a field of its own (RFC 9112, section 5.2).
bool has_fold(std::string_view lines) {
  return lines.find("\n ") != lines.npos || lines.find("\n\t") != lines.npos;
}

}  // namespace

struct RequestReader::Impl {
  Impl(std::size_t head_max, BodyBudget& budget) : head_bytes_max(head_max), body(budget) {
    parser.get().body() = &body;
    parser.header_limit(static_cast<std::uint32_t>(head_bytes_max));
    parser.body_limit((std::numeric_limits<std::uint64_t>::max)());  // its plan has one
  }

  Step refuse(beast::error_code error) {
    if (body.refusal) return Step::kRefused;
    if (error == http::error::header_limit) {
      return refuse(431,
                    "the head of a request may have " + std::to_string(head_bytes_max) + " bytes");
    }
    if (error == http::error::bad_version) return refuse(505, "HTTP/1.1 is spoken here");
    return refuse(400, "this is no request of HTTP/1.1: " + error.message());
  }
  Step refuse(unsigned status, std::string_view detail) {
    body.refusal = Refusal{Refusal::Why::kMalformed, problem(status, detail)};
    return Step::kRefused;
  }

  // They stay where they are. What follows the last chunk was there for nobody's decision (RFC
  // 9110, section 6.5.1).
  Step take_head() {
    head_seen = true;
    for (const auto& field : parser.get()) {
      fields.emplace_back(to_std(field.name_string()), to_std(field.value()));
    }
    target = to_std(parser.get().target());
    // Beast measures the first line and the fields apart.
    if (head_bytes > head_bytes_max)
      return refuse(http::make_error_code(http::error::header_limit));
    std::string_view fault =
        folded ? "a field's value goes on in the next line" : fault_of(parser.get());
    if (fault.empty() && is_absolute(target)) fault = resolve_target();
    return fault.empty() ? Step::kHead : refuse(400, fault);
  }

  // "http://host/path" names the host, whatever the field Host says (RFC 9112, section 3.2.2).
  std::string_view resolve_target() {
    std::string_view rest = target.substr(target.find("://") + 3);
    const std::string_view host = rest.substr(0, rest.find_first_of("/?#"));
    if (host.empty() || host.find('@') != host.npos) return "the target names no host";
    rest.remove_prefix(host.size());
    if (!rest.starts_with('/')) {
      path = "/" + std::string{rest};
      rest = path;
    }
    target = rest;
    std::erase_if(fields, [](const auto& field) { return lower_case(field.first) == "host"; });
    fields.emplace_back("Host", host);
    return {};
  }

  const std::size_t head_bytes_max;
  Body body;
  http::request_parser<BodyPieces> parser;
  std::vector<std::pair<std::string_view, std::string_view>> fields;
  std::string_view target;
  std::string path;            // of the target, where it says none
  std::size_t head_bytes = 0;  // taken by the parser
  bool head_seen = false, folded = false;
};

RequestReader::RequestReader(std::size_t head_bytes_max, BodyBudget& budget)
    : impl_(std::make_unique<Impl>(head_bytes_max, budget)) {}

RequestReader::~RequestReader() = default;

RequestReader::Taken RequestReader::read(std::string_view bytes) {
  auto& parser = impl_->parser;
  std::size_t taken = 0;
  for (;;) {
    if (impl_->body.refusal) return {Step::kRefused, taken};
    if (parser.is_done() && impl_->head_seen) return {Step::kDone, taken};
    if (impl_->body.sink && impl_->body.sink->is_full()) return {Step::kFull, taken};
    const bool in_chunks = impl_->head_seen && parser.chunked();
    if (bytes.size() - taken < (in_chunks ? kChunkBytesMin : 1)) return {Step::kMore, taken};
    beast::error_code error;
    const std::size_t more =
        parser.put(asio::const_buffer(bytes.data() + taken, bytes.size() - taken), error);
    if (!impl_->head_seen) {
      impl_->head_bytes += more;
      impl_->folded = impl_->folded || has_fold(bytes.substr(taken, more));
    }
    taken += more;
    if (error == http::error::need_more) {
      // What is kept is a part of the head, of a chunk's head or of what follows the last chunk.
      const std::size_t kept = bytes.size() - taken + (impl_->head_seen ? 0 : impl_->head_bytes);
      if (kept <= impl_->head_bytes_max) return {Step::kMore, taken};
      error = http::error::header_limit;
    }
    if (error) return {impl_->refuse(error), taken};
    if (!impl_->head_seen && parser.is_header_done()) return {impl_->take_head(), taken};
  }
}

bool RequestReader::accept(BodyPlan plan) {
  Body& body = impl_->body;
  body.bytes_max = plan.bytes_max;
  body.too_long = std::move(plan.too_long);
  body.sink = std::move(plan.sink);
  const auto length = impl_->parser.content_length();
  if (length && *length > body.bytes_max) {
    body.refuse_as_too_long();
  } else if (length && !body.sink && !body.has_room_for(*length)) {
    body.refuse_for_want_of_memory();
  }
  impl_->parser.eager(true);
  return !body.refusal;
}

Refusal RequestReader::take_refusal() {
  return std::exchange(impl_->body.refusal, Refusal{}).value();
}

bool RequestReader::has_head() const {
  return impl_->parser.is_header_done();
}

bool RequestReader::is_bodiless() const {
  const auto length = impl_->parser.content_length();
  return impl_->parser.is_done() || (length && *length == 0);
}

bool RequestReader::expects_continue() const {
  return beast::iequals(impl_->parser.get()[http::field::expect], "100-continue") &&
         impl_->parser.get().version() >= 11;
}

bool RequestReader::keep_alive() const {
  return impl_->parser.keep_alive();
}

unsigned RequestReader::minor_version() const {
  return impl_->parser.get().version() % 10;
}

std::string_view RequestReader::method() const {
  return to_std(impl_->parser.get().method_string());
}

std::string_view RequestReader::target() const {
  return impl_->target;
}

const std::vector<std::pair<std::string_view, std::string_view>>& RequestReader::fields() const {
  return impl_->fields;
}

std::string_view RequestReader::header(std::string_view name) const {
  for (const auto& [field, value] : impl_->fields) {
    if (beast::iequals({field.data(), field.size()}, {name.data(), name.size()})) return value;
  }
  return {};
}

std::string_view RequestReader::body() const {
  return impl_->body.text;
}

void RequestReader::recount() {
  Body& body = impl_->body;
  if (body.sink) body.count(body.sink->bytes_in_memory());
}

BodySink* RequestReader::sink() const {
  return impl_->body.sink.get();
}

}  // namespace fanfare::triggers::http_detail
