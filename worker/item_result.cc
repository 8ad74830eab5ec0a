#include "worker/item_result.h"

namespace fanfare::worker {
namespace {

void make_blank(std::string& text) {
  text.clear();
  if (text.capacity() > ItemResults::kKeptMax) std::string().swap(text);
}

void make_blank(ItemResult& result) {
  for (std::string* text : {&result.output, &result.content_type, &result.failure.type,
                            &result.failure.message, &result.log_tail, &result.printed}) {
    make_blank(*text);
  }
  result.failure.retryable = protocol::Failure{}.retryable;
  result.failure.retry_after_ms.reset();
  result.asked.clear();
  result.log = {};
  result.log_truncated = false;
  result.printed_cut = 0;
}

}  // namespace

ItemResult& ItemResults::add() {
  if (used_ == results_.size()) results_.emplace_back();
  return results_[used_++];
}

void ItemResults::drop_last() {
  make_blank(results_[--used_]);
}

void ItemResults::clear() {
  for (ItemResult& result : all()) make_blank(result);
  used_ = 0;
}

}  // namespace fanfare::worker
