// The code for common types, compiled once instead of in every flow; declared in <metaflow/codec.h>.
#include <metaflow/codec.h>

namespace metaflow::detail {

template struct Coder<bool>;
template struct Coder<char>;
template struct Coder<short>;
template struct Coder<int>;
template struct Coder<long>;
template struct Coder<long long>;
template struct Coder<unsigned char>;
template struct Coder<unsigned short>;
template struct Coder<unsigned int>;
template struct Coder<unsigned long>;
template struct Coder<unsigned long long>;
template struct Coder<float>;
template struct Coder<double>;
template struct Coder<std::string>;
template struct Coder<Bytes>;
template struct Coder<std::vector<bool>>;
template struct Coder<std::vector<int>>;
template struct Coder<std::vector<long>>;
template struct Coder<std::vector<unsigned int>>;
template struct Coder<std::vector<unsigned long>>;
template struct Coder<std::vector<float>>;
template struct Coder<std::vector<double>>;
template struct Coder<std::vector<std::string>>;
template struct Coder<std::vector<std::byte>>;
template struct Coder<std::vector<std::vector<int>>>;
template struct Coder<std::vector<std::vector<double>>>;
template struct Coder<std::map<std::string, bool>>;
template struct Coder<std::map<std::string, int>>;
template struct Coder<std::map<std::string, double>>;
template struct Coder<std::map<std::string, std::string>>;
template struct Coder<std::map<std::string, std::vector<double>>>;

}  // namespace metaflow::detail
