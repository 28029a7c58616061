// The opcodes of Python's pickle, by the names of CPython's Lib/pickle.py.
#pragma once

namespace metaflow::value::opcode {

// The opcodes that this library writes.
constexpr char kProto = '\x80', kMark = '(', kStop = '.', kPop = '0', kNone = 'N', kTrue = '\x88', kFalse = '\x89';
constexpr char kBinInt = 'J', kBinInt1 = 'K', kBinInt2 = 'M', kLong1 = '\x8a', kLong4 = '\x8b', kBinFloat = 'G';
constexpr char kShortBinUnicode = '\x8c', kBinUnicode = 'X', kBinUnicode8 = '\x8d';
constexpr char kShortBinBytes = 'C', kBinBytes = 'B', kBinBytes8 = '\x8e';
constexpr char kEmptyList = ']', kAppends = 'e', kEmptySet = '\x8f', kAddItems = '\x90', kFrozenSet = '\x91';
constexpr char kEmptyDict = '}', kSetItems = 'u';
constexpr char kEmptyTuple = ')', kTuple1 = '\x85', kTuple2 = '\x86', kTuple3 = '\x87', kTuple = 't';
constexpr char kStackGlobal = '\x93', kReduce = 'R', kNewObj = '\x81', kBuild = 'b';

// Further opcodes that Python writes.
constexpr char kFrame = '\x95', kPopMark = '1', kDup = '2', kByteArray8 = '\x96', kShortBinString = 'U',
               kBinString = 'T';
constexpr char kAppend = 'a', kSetItem = 's', kList = 'l', kGlobal = 'c', kNewObjEx = '\x92';
constexpr char kBinPut = 'q', kLongBinPut = 'r', kMemoize = '\x94', kBinGet = 'h', kLongBinGet = 'j';

}  // namespace metaflow::value::opcode
