//! A small gRPC service over any byte stream: it does not know what it runs on.

use std::convert::Infallible;
use std::future::Future;

use bytes::Bytes;
use http::uri::PathAndQuery;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::service_fn;

/// What HTTP/2 lets a stream and a connection hold: with less, latency bounds the speed.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;

/// A piece of data.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Piece {
    /// The bytes.
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) data: Bytes,
}

/// Serves this stream until it ends.
pub(crate) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<(), hyper::Error> {
    let service = service_fn(|request: http::Request<hyper::body::Incoming>| async move {
        Ok::<_, Infallible>(answer(request).await)
    });
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
    builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).await
}

async fn answer(request: http::Request<hyper::body::Incoming>) -> http::Response<tonic::body::Body> {
    let codec = ProstCodec::<Piece, Piece>::default();
    let mut grpc = tonic::server::Grpc::new(codec).max_decoding_message_size(8 << 20);
    match request.uri().path() {
        "/lab.Lab/Echo" => {
            let echo = service_fn(|request: Request<Piece>| async move {
                Ok::<_, Status>(Response::new(request.into_inner()))
            });
            grpc.unary(echo, request).await
        }
        "/lab.Lab/Put" => {
            let put = service_fn(|request: Request<Streaming<Piece>>| count(request.into_inner()));
            grpc.client_streaming(put, request).await
        }
        _ => Status::unimplemented("no such call").into_http(),
    }
}

/// Takes all pieces; how many bytes they were.
async fn count(mut pieces: Streaming<Piece>) -> Result<Response<Piece>, Status> {
    let mut total = 0u64;
    while let Some(piece) = pieces.message().await? {
        total += piece.data.len() as u64;
    }
    Ok(Response::new(Piece { data: Bytes::copy_from_slice(&total.to_le_bytes()) }))
}

/// Calls over one stream.
#[derive(Clone)]
pub(crate) struct Caller(tonic::client::Grpc<Channel>);

impl Caller {
    /// Over this stream.
    pub(crate) async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let mut once = Some(stream);
        let connector = service_fn(move |_: http::Uri| {
            let stream = once.take();
            async move { stream.map(TokioIo::new).ok_or_else(|| std::io::Error::other("the stream was used")) }
        });
        let endpoint = Endpoint::from_static("http://host")
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let channel = endpoint.connect_with_connector(connector).await.unwrap();
        Self(tonic::client::Grpc::new(channel))
    }

    /// Sends a piece and gets it back.
    pub(crate) async fn echo(&mut self, data: Bytes) -> Result<Bytes, Status> {
        self.ready().await?;
        let codec = ProstCodec::<Piece, Piece>::default();
        let path = PathAndQuery::from_static("/lab.Lab/Echo");
        let answer = self.0.unary(Request::new(Piece { data }), path, codec).await?;
        Ok(answer.into_inner().data)
    }

    /// Sends so many pieces; how many bytes the other side has counted.
    pub(crate) async fn put(&mut self, piece: Bytes, pieces: usize) -> Result<u64, Status> {
        self.ready().await?;
        let codec = ProstCodec::<Piece, Piece>::default();
        let path = PathAndQuery::from_static("/lab.Lab/Put");
        let stream = tokio_stream::iter((0..pieces).map(move |_| Piece { data: piece.clone() }));
        let answer = self.0.client_streaming(Request::new(stream), path, codec).await?;
        let total: [u8; 8] =
            answer.into_inner().data.as_ref().try_into().map_err(|_| Status::internal("odd"))?;
        Ok(u64::from_le_bytes(total))
    }

    fn ready(&mut self) -> impl Future<Output = Result<(), Status>> + '_ {
        let ready = self.0.ready();
        async move { ready.await.map_err(|error| Status::unavailable(error.to_string())) }
    }
}
