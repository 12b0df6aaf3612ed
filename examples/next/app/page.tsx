export default function Page() {
  return <p>POST /api/orders</p>;
}
