#include "net/http.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <deque>
#include <unordered_map>

#include <metaflow/error.h>

#include "base/format.h"
#include "net/curl.h"
#include "net/sigpipe.h"
#include "net/transfer.h"

namespace metaflow::net {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// libcurl reports the sockets to watch and the latest time of the next call. The sockets are in an epoll instance of
// the client, whose descriptor is watched by the client itself or by the loop.
struct HttpClient::Impl {
  explicit Impl(const HttpOptions& options);
  ~Impl();

  Id start(Request request, Done done);
  void cancel(Id id);
  void attach(base::EventLoop& loop);
  void drive(milliseconds wait);

 private:
  struct Entry {
    std::unique_ptr<Transfer> transfer;
    Done done;
    bool added = false;  // was added to the multi handle
  };
  struct Finished {
    Id id;
    Done done;
    Response response;
  };

  static int on_socket(CURL*, curl_socket_t fd, int what, void* self, void*);
  static int on_timer(CURLM*, long wait, void* self);
  void wake_after(milliseconds wait);
  void add(Entry& entry);
  void remove(Id id, bool succeeded = false);
  void run_deferred();
  void collect();
  void deliver();
  CURL* take_handle();
  void keep_handle(CURL* easy, bool succeeded);

  const Curl& curl_;
  HttpOptions options_;
  std::string ca_file_;
  base::Fd epoll_;
  CURLM* multi_ = nullptr;
  std::vector<CURL*> spare_;
  std::unordered_map<Id, Entry> transfers_;
  std::vector<Id> new_;            // started inside a libcurl callback, which cannot add them
  std::vector<Id> cancelled_;      // cancelled inside a libcurl callback
  std::deque<Finished> finished_;  // finished, not delivered yet
  Id next_id_ = 1;
  bool inside_ = false;  // a libcurl function is running
  std::optional<steady_clock::time_point> deadline_;
  base::EventLoop* loop_ = nullptr;
  std::optional<base::EventLoop::Timer> timer_;

  friend class HttpClient;
};

HttpClient::Impl::Impl(const HttpOptions& options)
    : curl_(curl()), options_(options), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) base::throw_errno("create", "an epoll instance", errno);
  // OpenSSL's variable; libcurl overrides OpenSSL's path by its own.
  if (const char* file = std::getenv("SSL_CERT_FILE"); file != nullptr) ca_file_ = file;
  multi_ = curl_.multi_init();
  if (multi_ == nullptr) throw Error(ErrorCode::out_of_memory, "Cannot create a libcurl handle");
  curl_.multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &Impl::on_socket);
  curl_.multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_.multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &Impl::on_timer);
  curl_.multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  curl_.multi_setopt(multi_, CURLMOPT_MAX_HOST_CONNECTIONS, static_cast<long>(options_.connections_per_host));
  curl_.multi_setopt(multi_, CURLMOPT_MAX_TOTAL_CONNECTIONS, static_cast<long>(options_.connections));
  curl_.multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(options_.connections_kept));
}

HttpClient::Impl::~Impl() {
  const WithoutSigpipe guard;
  if (loop_ != nullptr) {
    loop_->unwatch(epoll_.get());
    if (timer_) loop_->cancel(*timer_);
    timer_.reset();  // the cleanup below may request another timer
    loop_ = nullptr;
  }
  // Stop socket callbacks: libcurl may report a socket after it has closed it, when the descriptor belongs to another
  // file.
  curl_.multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, static_cast<curl_socket_callback>(nullptr));
  for (auto& [id, entry] : transfers_) {
    if (entry.added) curl_.multi_remove_handle(multi_, entry.transfer->easy());
    curl_.easy_cleanup(entry.transfer->easy());
  }
  for (CURL* easy : spare_) curl_.easy_cleanup(easy);
  curl_.multi_cleanup(multi_);
}

int HttpClient::Impl::on_socket(CURL*, curl_socket_t fd, int what, void* self, void*) {
  const int epoll = static_cast<Impl*>(self)->epoll_.get();
  if (what == CURL_POLL_REMOVE) {
    ::epoll_ctl(epoll, EPOLL_CTL_DEL, fd, nullptr);
    return 0;
  }
  epoll_event event{};
  if (what != CURL_POLL_OUT) event.events |= EPOLLIN;
  if (what != CURL_POLL_IN) event.events |= EPOLLOUT;
  event.data.fd = fd;
  if (::epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event) == 0) return 0;
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -1;
}

int HttpClient::Impl::on_timer(CURLM*, long wait, void* self) {
  auto& impl = *static_cast<Impl*>(self);
  if (wait >= 0) {
    impl.wake_after(milliseconds(wait));
    return 0;
  }
  impl.deadline_.reset();
  if (impl.timer_) impl.loop_->cancel(*impl.timer_);
  impl.timer_.reset();
  return 0;
}

void HttpClient::Impl::wake_after(milliseconds wait) {
  deadline_ = steady_clock::now() + wait;
  if (loop_ == nullptr) return;
  if (timer_) loop_->cancel(*timer_);
  timer_ = loop_->after(std::chrono::microseconds(wait).count(), [this] {
    timer_.reset();
    deadline_ = steady_clock::time_point::min();  // due, regardless of rounding
    drive(milliseconds(0));
  });
}

CURL* HttpClient::Impl::take_handle() {
  if (spare_.empty()) {
    CURL* easy = curl_.easy_init();
    if (easy == nullptr) throw Error(ErrorCode::out_of_memory, "Cannot create a libcurl handle");
    return easy;
  }
  CURL* easy = spare_.back();
  spare_.pop_back();
  return easy;
}

/// Keeps a handle for the next transfer, but only after a success: others may leave a handle whose buffers cannot be
/// set.
void HttpClient::Impl::keep_handle(CURL* easy, bool succeeded) {
  if (!succeeded || spare_.size() >= 64) {
    curl_.easy_cleanup(easy);
    return;
  }
  curl_.easy_reset(easy);
  spare_.push_back(easy);
}

HttpClient::Id HttpClient::Impl::start(Request request, Done done) {
  const Id id = next_id_++;
  Entry& entry = transfers_[id];
  entry.transfer = std::make_unique<Transfer>(curl_, take_handle(), id, std::move(request), ca_file_, options_.http2);
  entry.done = std::move(done);
  if (inside_) {
    new_.push_back(id);
  } else {
    add(entry);
  }
  return id;
}

void HttpClient::Impl::add(Entry& entry) {
  // Errors of the request are reported in the same way as all others.
  CURLcode code = entry.transfer->setup();
  if (code == CURLE_OK) {
    entry.added = curl_.multi_add_handle(multi_, entry.transfer->easy()) == CURLM_OK;
    if (entry.added) return;
    code = CURLE_OUT_OF_MEMORY;
  }
  const Id id = entry.transfer->id();
  finished_.push_back({id, std::move(entry.done), entry.transfer->result(code)});
  remove(id);
  wake_after(milliseconds(0));
}

void HttpClient::Impl::remove(Id id, bool succeeded) {
  const auto found = transfers_.find(id);
  CURL* easy = found->second.transfer->easy();
  if (found->second.added) {
    const WithoutSigpipe guard;
    curl_.multi_remove_handle(multi_, easy);
  }
  transfers_.erase(found);
  keep_handle(easy, succeeded);
}

void HttpClient::Impl::cancel(Id id) {
  std::erase_if(finished_, [&](const Finished& over) { return over.id == id; });
  const auto found = transfers_.find(id);
  if (found == transfers_.end()) return;
  if (inside_) {
    found->second.transfer->cancel();
    cancelled_.push_back(id);
  } else {
    remove(id);
  }
}

void HttpClient::Impl::attach(base::EventLoop& loop) {
  loop_ = &loop;
  loop.watch(epoll_.get(), [this] { drive(milliseconds(0)); });
}

/// Executes the starts and cancellations that callbacks requested while libcurl was running.
void HttpClient::Impl::run_deferred() {
  for (const Id id : std::exchange(cancelled_, {})) {
    if (transfers_.contains(id)) remove(id);
  }
  for (const Id id : std::exchange(new_, {})) {
    if (const auto found = transfers_.find(id); found != transfers_.end()) add(found->second);
  }
}

void HttpClient::Impl::drive(milliseconds wait) {
  if (inside_) throw Error(ErrorCode::internal, "An HTTP client is driven from within a body callback");
  if (!finished_.empty()) {
    deliver();
    return;
  }
  if (deadline_) {
    const auto now = steady_clock::now();
    const auto left = *deadline_ <= now ? milliseconds(0) : std::chrono::ceil<milliseconds>(*deadline_ - now);
    if (wait.count() < 0 || left < wait) wait = left;
  }
  std::array<epoll_event, 64> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                 static_cast<int>(std::min<std::int64_t>(wait.count(), 1'000'000)));
  if (count < 0 && errno != EINTR) base::throw_errno("wait for", "connections", errno);
  {
    const WithoutSigpipe guard;
    inside_ = true;
    int running = 0;
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      int mask = 0;
      if ((event.events & (EPOLLIN | EPOLLHUP)) != 0) mask |= CURL_CSELECT_IN;
      if ((event.events & EPOLLOUT) != 0) mask |= CURL_CSELECT_OUT;
      if ((event.events & EPOLLERR) != 0) mask |= CURL_CSELECT_ERR;
      curl_.multi_socket_action(multi_, event.data.fd, mask, &running);
    }
    if (deadline_ && *deadline_ <= steady_clock::now()) {
      deadline_.reset();
      curl_.multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    inside_ = false;
  }
  run_deferred();
  collect();
  deliver();
}

void HttpClient::Impl::collect() {
  int left = 0;
  while (const CURLMsg* message = curl_.multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    Transfer& transfer = Transfer::of(curl_, message->easy_handle);
    const Id id = transfer.id();
    const bool succeeded = message->data.result == CURLE_OK;
    if (!transfer.cancelled()) {
      Response response = transfer.result(message->data.result);
      finished_.push_back({id, std::move(transfers_.at(id).done), std::move(response)});
    }
    remove(id, succeeded);
  }
}

void HttpClient::Impl::deliver() {
  while (!finished_.empty()) {
    Finished over = std::move(finished_.front());
    finished_.pop_front();
    // If a callback throws, the others are delivered later.
    if (!finished_.empty()) wake_after(milliseconds(0));
    if (over.done) over.done(std::move(over.response));
  }
}

HttpClient::HttpClient(const HttpOptions& options) : impl_(std::make_unique<Impl>(options)) {}
HttpClient::~HttpClient() = default;

HttpClient::Id HttpClient::start(Request request, Done done) {
  return impl_->start(std::move(request), std::move(done));
}
void HttpClient::cancel(Id id) { impl_->cancel(id); }
std::size_t HttpClient::in_flight() const { return impl_->transfers_.size() + impl_->finished_.size(); }
void HttpClient::attach(base::EventLoop& loop) { impl_->attach(loop); }
void HttpClient::run_once(milliseconds wait) { impl_->drive(wait); }

void HttpClient::finish(const std::function<bool()>& done) {
  while (in_flight() > 0 && !(done && done())) run_once(milliseconds(-1));
}

Response HttpClient::fetch(Request request) {
  std::optional<Response> answer;
  const Id id = start(std::move(request), [&](Response&& response) { answer = std::move(response); });
  try {
    finish([&] { return answer.has_value(); });
  } catch (...) {  // thrown by the callback of another transfer
    cancel(id);
    throw;
  }
  return std::move(*answer);
}

}  // namespace metaflow::net
