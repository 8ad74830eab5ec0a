// What a handler's store does in its instance.
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <new>

#include "worker/instance_parts.h"
#include "worker/instance_runtime.h"

namespace fanfare::worker {
namespace {

std::int64_t wall_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

bool something_is_there(int socket) {
  pollfd one{.fd = socket, .events = POLLIN, .revents = 0};
  return ::poll(&one, 1, 0) > 0;
}

InstanceRuntime& runtime(void* host) {
  return *static_cast<InstanceRuntime*>(host);
}

}  // namespace

// Runs a call on the store; what is wrong with it stands until the next one.
template <typename Call>
abi::Text InstanceRuntime::on_store(Call call) {
  try {
    if (std::this_thread::get_id() != handler_thread_) {
      static constexpr std::string_view kThread =
          "the store may only be used on the thread that runs the handler";
      return {kThread.data(), kThread.size()};
    }
    const Result<void> done = call(store_);
    store_refusal_ = done ? std::string{} : done.error().message;
  } catch (const std::bad_alloc&) {
    static constexpr std::string_view kMemory = "there is no memory left for the rows";
    return {kMemory.data(), kMemory.size()};
  }
  return {store_refusal_.data(), store_refusal_.size()};
}

// Writes go with the result of one event.
template <typename Call>
abi::Text InstanceRuntime::change_store(Call call) {
  return on_store([&](OwnStore& store) -> Result<void> {
    if (together_) {
      return reject(
          "a call for a batch of events has no result that could carry rows: write them in a "
          "function that takes one event");
    }
    return call(store);
  });
}

void InstanceRuntime::offer_store(abi::Context& context) {
  context.get_row = [](void* host, abi::Text key, const abi::Rows* rows) {
    return runtime(host).on_store([&](const OwnStore& store) -> Result<void> {
      const auto value = store.get(view(key));
      if (!value) return value.error();
      if (*value) rows->row(rows->to, key, {(*value)->data(), (*value)->size()});
      return {};
    });
  };
  context.list_rows = [](void* host, abi::Text prefix, abi::Text cursor, std::uint32_t limit,
                         const abi::Rows* rows) {
    return runtime(host).on_store([&](const OwnStore& store) -> Result<void> {
      const auto page = store.list(view(prefix), view(cursor), limit);
      if (!page) return page.error();
      for (const store::StoredRow& row : page->rows) {
        rows->row(rows->to, {row.key.data(), row.key.size()}, {row.value.data(), row.value.size()});
      }
      if (!page->next.empty()) rows->cursor(rows->to, {page->next.data(), page->next.size()});
      return {};
    });
  };
  context.put_row = [](void* host, abi::Text key, abi::Text value, std::int64_t ttl_ms) {
    return runtime(host).change_store([&](OwnStore& store) {
      return store.put(view(key), view(value), ttl_ms > 0 ? wall_ms() + ttl_ms : 0);
    });
  };
  context.erase_row = [](void* host, abi::Text key) {
    return runtime(host).change_store([&](OwnStore& store) { return store.erase(view(key)); });
  };
  context.increment_row = [](void* host, abi::Text key, std::int64_t by) {
    return runtime(host).change_store(
        [&](OwnStore& store) { return store.increment(view(key), by); });
  };
}

Result<store::Rows> InstanceRuntime::read_rows(RowRequest request) {
  request.number = ++last_request_;
  const auto answer = ask(request.number, encode(request), {});
  if (!answer) return answer.error();
  return decode_rows(*answer);
}

Result<std::string> InstanceRuntime::ask(std::uint64_t number, std::string_view request,
                                         std::span<const int> fds, Spin* spin) {
  // What is finished must not wait for what this waits for.
  if (item_ > 0) ring(Doorbell::Kind::kFinished, {});
  if (auto sent = send_message(parts_.channel.get(), request, fds, {}); !sent) ::_exit(0);
  answer_frame_.resize(kFrameBytesMax + 4096);
  if (spin) look_for(*spin, [this] { return something_is_there(parts_.channel.get()); });
  const std::string_view frame = answer_frame_;
  while (true) {
    auto received = receive_message(parts_.channel.get(), answer_frame_, {});
    if (!received) ::_exit(0);  // the worker has let go: nobody will hear of this attempt
    BatchHeader header;
    if (received->size < sizeof header) return reject("the worker sent something strange");
    std::memcpy(&header, frame.data(), sizeof header);
    if (!(header.flags & BatchHeader::kAnswer)) {
      kept_.push_back({std::string{frame.substr(0, received->size)}, std::move(received->fds)});
      continue;
    }
    if (header.number != number) continue;
    if (!(header.flags & BatchHeader::kAnswerInMemfd)) {
      return std::string{frame.substr(sizeof header, received->size - sizeof header)};
    }
    if (received->fds.empty()) return reject("the worker sent an answer without its bytes");
    return read_sealed_memfd(received->fds[0].get(), header.memfd_size);
  }
}

}  // namespace fanfare::worker
