// Compares the declarations that are written by hand with NVIDIA's headers. Compiled alone,
// by the test cuda.abi, where NOYAU_CUDA_INCLUDE (CMake) names their folders. Nothing is run.
// SPDX-License-Identifier: Apache-2.0
#define CUDNN_DISABLE_DEPRECATED_WARNINGS  // NOLINT: the functions are deprecated and stay
#include <cublasLt.h>
#include <cuda.h>
#include <cudnn.h>
#include <nvrtc.h>

#include <string_view>

#include "backends/cublaslt/functions.hpp"
#include "backends/cuda/driver.hpp"
#include "backends/cuda/nvrtc.hpp"
#include "backends/cudnn/functions.hpp"

namespace {

/// Two types that are passed alike: pointers, numbers and enumerations of one size, equal structs.
template <class A, class B>
constexpr bool same_type() {
  if constexpr (std::is_void_v<A> || std::is_void_v<B>) return std::is_same_v<A, B>;
  else if constexpr (std::is_pointer_v<A> || std::is_pointer_v<B>)
    return std::is_pointer_v<A> && std::is_pointer_v<B>;
  else if constexpr (std::is_floating_point_v<A> || std::is_floating_point_v<B>)
    return std::is_same_v<A, B>;
  else return sizeof(A) == sizeof(B) && std::is_class_v<A> == std::is_class_v<B>;
}
template <class A, class B>
struct SameFunction : std::false_type {};
template <class R, class... A, class S, class... B>
struct SameFunction<R (*)(A...), S (*)(B...)> {
  static constexpr bool all() {
    if constexpr (sizeof...(A) != sizeof...(B)) return false;
    else return same_type<R, S>() && (same_type<A, B>() && ...);
  }
  static constexpr bool value = all();
};

/// How many functions a table has, beside what else is in it.
template <class Table, class... Others>
constexpr std::size_t functions_of = (sizeof(Table) - (sizeof(Others) + ... + 0)) / sizeof(void*);

}  // namespace

// ---- the driver

namespace cuda = noyau::cuda;

#define SAME(table, member, function)                                                          \
  static_assert(SameFunction<decltype(table::member), decltype(&function)>::value, #function); \
  static constexpr int counted_##member [[maybe_unused]] = 1;

namespace of_driver {
#define DRIVER(member, function) SAME(cuda::Driver, member, function)
DRIVER(init, cuInit)
DRIVER(driver_get_version, cuDriverGetVersion)
DRIVER(get_error_name, cuGetErrorName)
DRIVER(get_error_string, cuGetErrorString)
DRIVER(device_get_count, cuDeviceGetCount)
DRIVER(device_get, cuDeviceGet)
DRIVER(device_get_name, cuDeviceGetName)
DRIVER(device_get_attribute, cuDeviceGetAttribute)
DRIVER(device_total_mem, cuDeviceTotalMem)
DRIVER(device_primary_ctx_retain, cuDevicePrimaryCtxRetain)
DRIVER(device_can_access_peer, cuDeviceCanAccessPeer)
DRIVER(ctx_enable_peer_access, cuCtxEnablePeerAccess)
DRIVER(ctx_push_current, cuCtxPushCurrent)
DRIVER(ctx_pop_current, cuCtxPopCurrent)
DRIVER(stream_create, cuStreamCreate)
DRIVER(stream_synchronize, cuStreamSynchronize)
DRIVER(stream_wait_event, cuStreamWaitEvent)
DRIVER(event_create, cuEventCreate)
DRIVER(event_destroy, cuEventDestroy)
DRIVER(event_record, cuEventRecord)
DRIVER(event_query, cuEventQuery)
DRIVER(event_synchronize, cuEventSynchronize)
DRIVER(event_elapsed_time, cuEventElapsedTime)
DRIVER(mem_alloc, cuMemAlloc)
DRIVER(mem_free, cuMemFree)
DRIVER(mem_host_alloc, cuMemHostAlloc)
DRIVER(memcpy_htod_async, cuMemcpyHtoDAsync)
DRIVER(memcpy_dtoh_async, cuMemcpyDtoHAsync)
DRIVER(memcpy_dtod_async, cuMemcpyDtoDAsync)
DRIVER(memcpy_peer_async, cuMemcpyPeerAsync)
DRIVER(memset_d8_async, cuMemsetD8Async)
DRIVER(module_load_data, cuModuleLoadData)
DRIVER(module_unload, cuModuleUnload)
DRIVER(module_get_function, cuModuleGetFunction)
DRIVER(func_set_attribute, cuFuncSetAttribute)
DRIVER(launch_kernel, cuLaunchKernel)
DRIVER(stream_begin_capture, cuStreamBeginCapture)
DRIVER(stream_end_capture, cuStreamEndCapture)
DRIVER(graph_create, cuGraphCreate)
DRIVER(graph_destroy, cuGraphDestroy)
DRIVER(graph_add_kernel_node, cuGraphAddKernelNode)
DRIVER(graph_add_memcpy_node, cuGraphAddMemcpyNode)
DRIVER(graph_add_memset_node, cuGraphAddMemsetNode)
DRIVER(graph_add_child_graph_node, cuGraphAddChildGraphNode)
DRIVER(graph_instantiate, cuGraphInstantiate)
DRIVER(graph_launch, cuGraphLaunch)
DRIVER(graph_exec_destroy, cuGraphExecDestroy)
DRIVER(graph_exec_kernel_node_set_params, cuGraphExecKernelNodeSetParams)
DRIVER(graph_exec_memcpy_node_set_params, cuGraphExecMemcpyNodeSetParams)
DRIVER(graph_exec_memset_node_set_params, cuGraphExecMemsetNodeSetParams)
DRIVER(graph_exec_child_graph_node_set_params, cuGraphExecChildGraphNodeSetParams)
}  // namespace of_driver
static_assert(functions_of<cuda::Driver, std::string, std::string> == 51,
              "a function of the driver is not compared above");

// What the header calls by another name is a version of its own: ours is the one that is looked up.
#define WORDS_OF(x) #x
#define WORDS(x) WORDS_OF(x)
static_assert(std::string_view(WORDS(cuMemAlloc)) == "cuMemAlloc_v2");
static_assert(std::string_view(WORDS(cuMemFree)) == "cuMemFree_v2");
static_assert(std::string_view(WORDS(cuDeviceTotalMem)) == "cuDeviceTotalMem_v2");
static_assert(std::string_view(WORDS(cuCtxPushCurrent)) == "cuCtxPushCurrent_v2");
static_assert(std::string_view(WORDS(cuCtxPopCurrent)) == "cuCtxPopCurrent_v2");
static_assert(std::string_view(WORDS(cuEventDestroy)) == "cuEventDestroy_v2");
static_assert(std::string_view(WORDS(cuMemcpyHtoDAsync)) == "cuMemcpyHtoDAsync_v2");
static_assert(std::string_view(WORDS(cuMemcpyDtoHAsync)) == "cuMemcpyDtoHAsync_v2");
static_assert(std::string_view(WORDS(cuMemcpyDtoDAsync)) == "cuMemcpyDtoDAsync_v2");
static_assert(std::string_view(WORDS(cuStreamBeginCapture)) == "cuStreamBeginCapture_v2");
static_assert(std::string_view(WORDS(cuGraphAddKernelNode)) == "cuGraphAddKernelNode_v2");
static_assert(std::string_view(WORDS(cuGraphInstantiate)) == "cuGraphInstantiateWithFlags");
static_assert(std::string_view(WORDS(cuGraphExecKernelNodeSetParams)) ==
              "cuGraphExecKernelNodeSetParams_v2");

static_assert(cuda::success == CUDA_SUCCESS && cuda::out_of_memory == CUDA_ERROR_OUT_OF_MEMORY);
static_assert(cuda::not_ready == CUDA_ERROR_NOT_READY);
static_assert(cuda::peer_access_already_enabled == CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED);
static_assert(cuda::shared_memory_per_block == CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK);
static_assert(cuda::multiprocessor_count == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
static_assert(cuda::l2_cache_size == CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE);
static_assert(cuda::capability_major == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
static_assert(cuda::capability_minor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
static_assert(cuda::shared_memory_per_block_opt_in ==
              CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
static_assert(cuda::max_dynamic_shared_size == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
static_assert(cuda::stream_non_blocking == CU_STREAM_NON_BLOCKING);
static_assert(cuda::event_disable_timing == CU_EVENT_DISABLE_TIMING);
static_assert(cuda::host_portable == CU_MEMHOSTALLOC_PORTABLE);
static_assert(cuda::host_mapped == CU_MEMHOSTALLOC_DEVICEMAP);
static_assert(cuda::capture_relaxed == CU_STREAM_CAPTURE_MODE_RELAXED);
static_assert(cuda::device_memory == CU_MEMORYTYPE_DEVICE);

#define FIELD(ours, theirs, a, b)                                                                 \
  static_assert(offsetof(ours, a) == offsetof(theirs, b) && sizeof(ours::a) >= sizeof(theirs::b), \
                #theirs "." #b);
static_assert(sizeof(cuda::KernelNode) == sizeof(CUDA_KERNEL_NODE_PARAMS));
FIELD(cuda::KernelNode, CUDA_KERNEL_NODE_PARAMS, function, func)
FIELD(cuda::KernelNode, CUDA_KERNEL_NODE_PARAMS, grid, gridDimX)
FIELD(cuda::KernelNode, CUDA_KERNEL_NODE_PARAMS, block, blockDimX)
FIELD(cuda::KernelNode, CUDA_KERNEL_NODE_PARAMS, shared_bytes, sharedMemBytes)
FIELD(cuda::KernelNode, CUDA_KERNEL_NODE_PARAMS, arguments, kernelParams)
FIELD(cuda::KernelNode, CUDA_KERNEL_NODE_PARAMS, extra, extra)
FIELD(cuda::KernelNode, CUDA_KERNEL_NODE_PARAMS, kernel, kern)
FIELD(cuda::KernelNode, CUDA_KERNEL_NODE_PARAMS, context, ctx)
static_assert(sizeof(cuda::FillNode) == sizeof(CUDA_MEMSET_NODE_PARAMS));
FIELD(cuda::FillNode, CUDA_MEMSET_NODE_PARAMS, to, dst)
FIELD(cuda::FillNode, CUDA_MEMSET_NODE_PARAMS, pitch, pitch)
FIELD(cuda::FillNode, CUDA_MEMSET_NODE_PARAMS, value, value)
FIELD(cuda::FillNode, CUDA_MEMSET_NODE_PARAMS, element_bytes, elementSize)
FIELD(cuda::FillNode, CUDA_MEMSET_NODE_PARAMS, width, width)
FIELD(cuda::FillNode, CUDA_MEMSET_NODE_PARAMS, height, height)
static_assert(sizeof(cuda::CopyNode) == sizeof(CUDA_MEMCPY3D));
FIELD(cuda::CopyNode, CUDA_MEMCPY3D, from.memory_type, srcMemoryType)
FIELD(cuda::CopyNode, CUDA_MEMCPY3D, from.device, srcDevice)
FIELD(cuda::CopyNode, CUDA_MEMCPY3D, from.height, srcHeight)
FIELD(cuda::CopyNode, CUDA_MEMCPY3D, to.memory_type, dstMemoryType)
FIELD(cuda::CopyNode, CUDA_MEMCPY3D, to.device, dstDevice)
FIELD(cuda::CopyNode, CUDA_MEMCPY3D, to.height, dstHeight)
FIELD(cuda::CopyNode, CUDA_MEMCPY3D, bytes, WidthInBytes)
FIELD(cuda::CopyNode, CUDA_MEMCPY3D, height, Height)
FIELD(cuda::CopyNode, CUDA_MEMCPY3D, depth, Depth)

// ---- NVRTC

namespace of_nvrtc {
#define NVRTC(member, function) SAME(cuda::Nvrtc, member, function)
NVRTC(version, nvrtcVersion)
NVRTC(get_error_string, nvrtcGetErrorString)
NVRTC(get_num_supported_archs, nvrtcGetNumSupportedArchs)
NVRTC(get_supported_archs, nvrtcGetSupportedArchs)
NVRTC(create_program, nvrtcCreateProgram)
NVRTC(destroy_program, nvrtcDestroyProgram)
NVRTC(compile_program, nvrtcCompileProgram)
NVRTC(get_program_log_size, nvrtcGetProgramLogSize)
NVRTC(get_program_log, nvrtcGetProgramLog)
NVRTC(get_ptx_size, nvrtcGetPTXSize)
NVRTC(get_ptx, nvrtcGetPTX)
NVRTC(get_cubin_size, nvrtcGetCUBINSize)
NVRTC(get_cubin, nvrtcGetCUBIN)
}  // namespace of_nvrtc
static_assert(offsetof(cuda::Nvrtc, file) == 13 * sizeof(void*),
              "a function of NVRTC is not compared above");
static_assert(cuda::nvrtc_invalid_option == NVRTC_ERROR_INVALID_OPTION);

// ---- cuBLASLt

namespace lt = noyau::cublaslt;
namespace of_lt {
#define LT(member, function) SAME(lt::Functions, member, function)
LT(get_version, cublasLtGetVersion)
LT(get_status_name, cublasLtGetStatusName)
LT(get_status_string, cublasLtGetStatusString)
LT(create, cublasLtCreate)
LT(matmul, cublasLtMatmul)
LT(matmul_desc_create, cublasLtMatmulDescCreate)
LT(matmul_desc_destroy, cublasLtMatmulDescDestroy)
LT(matmul_desc_set_attribute, cublasLtMatmulDescSetAttribute)
LT(matrix_layout_create, cublasLtMatrixLayoutCreate)
LT(matrix_layout_destroy, cublasLtMatrixLayoutDestroy)
LT(matrix_layout_set_attribute, cublasLtMatrixLayoutSetAttribute)
LT(matmul_preference_create, cublasLtMatmulPreferenceCreate)
LT(matmul_preference_destroy, cublasLtMatmulPreferenceDestroy)
LT(matmul_preference_set_attribute, cublasLtMatmulPreferenceSetAttribute)
LT(matmul_algo_get_heuristic, cublasLtMatmulAlgoGetHeuristic)
}  // namespace of_lt
static_assert(functions_of<lt::Functions, std::string> == 15,
              "a function of cuBLASLt is not compared above");
static_assert(lt::success == CUBLAS_STATUS_SUCCESS);
static_assert(lt::execution_failed == CUBLAS_STATUS_EXECUTION_FAILED);
static_assert(lt::not_supported == CUBLAS_STATUS_NOT_SUPPORTED);
static_assert(lt::real_32 == CUDA_R_32F && lt::real_64 == CUDA_R_64F);
static_assert(lt::compute_32 == CUBLAS_COMPUTE_32F && lt::compute_64 == CUBLAS_COMPUTE_64F);
static_assert(lt::compute_32_tf32 == CUBLAS_COMPUTE_32F_FAST_TF32);
static_assert(lt::compute_32_bf16 == CUBLAS_COMPUTE_32F_FAST_16BF);
static_assert(lt::batch_count == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT);
static_assert(lt::batch_stride == CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET);
static_assert(lt::transpose_a == CUBLASLT_MATMUL_DESC_TRANSA);
static_assert(lt::transpose_b == CUBLASLT_MATMUL_DESC_TRANSB);
static_assert(lt::epilogue == CUBLASLT_MATMUL_DESC_EPILOGUE);
static_assert(lt::bias_pointer == CUBLASLT_MATMUL_DESC_BIAS_POINTER);
static_assert(lt::most_workspace_bytes == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
static_assert(lt::reduction_schemes == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK);
static_assert(lt::alignment_a == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES);
static_assert(lt::alignment_b == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES);
static_assert(lt::alignment_c == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES);
static_assert(lt::alignment_d == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);
static_assert(lt::transposed == CUBLAS_OP_T && sizeof(lt::transposed) == sizeof(cublasOperation_t));
static_assert(lt::epilogue_bias == CUBLASLT_EPILOGUE_BIAS);
static_assert(lt::reduce_in_compute_type == CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
static_assert(sizeof(lt::Algorithm) == sizeof(cublasLtMatmulAlgo_t));
static_assert(sizeof(lt::HeuristicResult) == sizeof(cublasLtMatmulHeuristicResult_t));
FIELD(lt::HeuristicResult, cublasLtMatmulHeuristicResult_t, algorithm, algo)
FIELD(lt::HeuristicResult, cublasLtMatmulHeuristicResult_t, workspace_bytes, workspaceSize)
FIELD(lt::HeuristicResult, cublasLtMatmulHeuristicResult_t, state, state)
FIELD(lt::HeuristicResult, cublasLtMatmulHeuristicResult_t, waves, wavesCount)

// ---- cuDNN

namespace dnn = noyau::cudnn;
namespace of_dnn {
#define DNN(member, function) SAME(dnn::Functions, member, function)
DNN(get_version, cudnnGetVersion)
DNN(get_error_string, cudnnGetErrorString)
DNN(create, cudnnCreate)
DNN(set_stream, cudnnSetStream)
DNN(create_tensor_descriptor, cudnnCreateTensorDescriptor)
DNN(destroy_tensor_descriptor, cudnnDestroyTensorDescriptor)
DNN(set_tensor_4d_descriptor_ex, cudnnSetTensor4dDescriptorEx)
DNN(create_filter_descriptor, cudnnCreateFilterDescriptor)
DNN(destroy_filter_descriptor, cudnnDestroyFilterDescriptor)
DNN(set_filter_4d_descriptor, cudnnSetFilter4dDescriptor)
DNN(create_convolution_descriptor, cudnnCreateConvolutionDescriptor)
DNN(destroy_convolution_descriptor, cudnnDestroyConvolutionDescriptor)
DNN(set_convolution_2d_descriptor, cudnnSetConvolution2dDescriptor)
DNN(set_convolution_math_type, cudnnSetConvolutionMathType)
DNN(set_convolution_group_count, cudnnSetConvolutionGroupCount)
DNN(create_activation_descriptor, cudnnCreateActivationDescriptor)
DNN(destroy_activation_descriptor, cudnnDestroyActivationDescriptor)
DNN(set_activation_descriptor, cudnnSetActivationDescriptor)
DNN(get_convolution_forward_algorithm, cudnnGetConvolutionForwardAlgorithm_v7)
DNN(get_convolution_forward_workspace_size, cudnnGetConvolutionForwardWorkspaceSize)
DNN(convolution_forward, cudnnConvolutionForward)
DNN(convolution_bias_activation_forward, cudnnConvolutionBiasActivationForward)
DNN(get_convolution_backward_data_algorithm, cudnnGetConvolutionBackwardDataAlgorithm_v7)
DNN(get_convolution_backward_data_workspace_size, cudnnGetConvolutionBackwardDataWorkspaceSize)
DNN(convolution_backward_data, cudnnConvolutionBackwardData)
DNN(get_convolution_backward_filter_algorithm, cudnnGetConvolutionBackwardFilterAlgorithm_v7)
DNN(get_convolution_backward_filter_workspace_size, cudnnGetConvolutionBackwardFilterWorkspaceSize)
DNN(convolution_backward_filter, cudnnConvolutionBackwardFilter)
}  // namespace of_dnn
static_assert(functions_of<dnn::Functions, std::string> == 28,
              "a function of cuDNN is not compared above");
static_assert(dnn::success == CUDNN_STATUS_SUCCESS);
static_assert(dnn::not_supported == CUDNN_STATUS_NOT_SUPPORTED);
static_assert(dnn::is_failure_of_execution(CUDNN_STATUS_EXECUTION_FAILED) &&
              dnn::is_failure_of_execution(CUDNN_STATUS_EXECUTION_FAILED_CUDA_DRIVER) &&
              !dnn::is_failure_of_execution(CUDNN_STATUS_INTERNAL_ERROR));
static_assert(dnn::real_32 == CUDNN_DATA_FLOAT && dnn::real_64 == CUDNN_DATA_DOUBLE);
static_assert(dnn::nchw == CUDNN_TENSOR_NCHW && dnn::nhwc == CUDNN_TENSOR_NHWC);
static_assert(dnn::cross_correlation == CUDNN_CROSS_CORRELATION);
static_assert(dnn::default_math == CUDNN_DEFAULT_MATH && dnn::fma_math == CUDNN_FMA_MATH);
static_assert(dnn::tensor_math == CUDNN_TENSOR_OP_MATH);
static_assert(dnn::converting_math == CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION);
static_assert(dnn::varies == CUDNN_NON_DETERMINISTIC && dnn::deterministic == CUDNN_DETERMINISTIC);
static_assert(dnn::activation_relu == CUDNN_ACTIVATION_RELU);
static_assert(dnn::propagate_nan == CUDNN_PROPAGATE_NAN);
static_assert(CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM == 0 &&
              CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM == 1 &&
              CUDNN_CONVOLUTION_FWD_ALGO_GEMM == 2 && CUDNN_CONVOLUTION_FWD_ALGO_DIRECT == 3 &&
              CUDNN_CONVOLUTION_BWD_DATA_ALGO_1 == 1 && CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1 == 1);
static_assert(sizeof(dnn::Performance) == sizeof(cudnnConvolutionFwdAlgoPerf_t));
static_assert(sizeof(dnn::Performance) == sizeof(cudnnConvolutionBwdDataAlgoPerf_t));
static_assert(sizeof(dnn::Performance) == sizeof(cudnnConvolutionBwdFilterAlgoPerf_t));
FIELD(dnn::Performance, cudnnConvolutionFwdAlgoPerf_t, algorithm, algo)
FIELD(dnn::Performance, cudnnConvolutionFwdAlgoPerf_t, status, status)
FIELD(dnn::Performance, cudnnConvolutionFwdAlgoPerf_t, workspace_bytes, memory)
FIELD(dnn::Performance, cudnnConvolutionFwdAlgoPerf_t, determinism, determinism)
FIELD(dnn::Performance, cudnnConvolutionFwdAlgoPerf_t, math, mathType)
